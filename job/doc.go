// Package job turns the configuration into work: it opens the repository and
// the stores, runs backups of many accounts beside each other, restores, and
// looks into snapshots. It reports what was done as values; it prints nothing
// and decides no exit code.
package job
