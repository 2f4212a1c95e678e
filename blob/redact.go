package blob

import (
	"regexp"
	"strings"
)

// hidden stands where a password stood.
const hidden = "***"

var (
	// portOrNothing is what may stand behind the colon of a host; anything else there is a password.
	portOrNothing = regexp.MustCompile(`^[0-9]*$`)

	// scpPassword finds the password that somebody wrote into a location as "sftp:user:password@host:path".
	scpPassword = regexp.MustCompile(`^([a-z0-9]+:[^/:@]+:)[^/@]*(@[^/]*:)`)
)

// Redact returns the location of a repository as it may be shown: without the password that restic's locations can hold,
// as in "rest:https://user:password@host/". It is the one place that decides so; whatever is told to anybody
// about a location went through it. It takes texts that are no locations, too.
func Redact(location string) string {
	scheme, rest, found := strings.Cut(location, "//")
	if !found {
		return scpPassword.ReplaceAllString(location, "${1}"+hidden+"${2}")
	}
	authority, _, _ := strings.Cut(rest, "/")
	at := strings.LastIndex(authority, "@")
	if at < 0 {
		// A slash in a password that was not written %2F ends the authority too early.
		_, port, _ := strings.Cut(authority, ":")
		if portOrNothing.MatchString(port) || strings.HasPrefix(authority, "[") {
			return location
		}
		if at = strings.LastIndex(rest, "@"); at < 0 {
			return location
		}
	}
	user, _, has := strings.Cut(rest[:at], ":")
	if !has {
		return location
	}
	return scheme + "//" + user + ":" + hidden + rest[at:]
}
