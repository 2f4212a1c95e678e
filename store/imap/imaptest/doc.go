// Package imaptest is a scriptable IMAP server for tests. It serves a model of an account, which the test makes and can
// look at afterwards, over real TCP and TLS, and misbehaves as real servers do: a Dialect is a list of capabilities and
// the ways in which a server departs from the RFCs.
//
// It is not the server of package imapd, and shares no code with the client: its parser of commands is its own, so that
// client and server cannot have the same bug. It records each command, so that a test can show what was never sent.
//
//	account := imaptest.NewAccount()
//	account.Create("INBOX").Append(imaptest.Message{Body: []byte("Subject: a\r\n\r\nb\r\n")})
//	server := imaptest.Start(t, account, imaptest.Dialect{Capabilities: []string{"IMAP4rev1"}})
//	... read from server.Addr ...
//	server.CheckReading(t)
package imaptest
