package main

import (
	"bytes"
	"io"
	"log/slog"
)

// log is where retries and the like are told of, with -v.
func (a *app) log() *slog.Logger {
	if !a.flags.json {
		return slog.New(slog.NewTextHandler(a.stderr, nil))
	}
	handler := slog.NewJSONHandler(a.stderr, nil)
	return slog.New(handler.WithAttrs([]slog.Attr{slog.String("message_type", "log"), slog.Int("schema", schema)}))
}

// wireLog is where the dialogue with servers goes, with -vv. Each write is of whole lines.
func (a *app) wireLog() io.Writer {
	if !a.flags.json {
		return a.stderr
	}
	return wireLines{a}
}

type wireLines struct{ a *app }

// Write implements io.Writer.
func (w wireLines) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		err := w.a.jsonTo(w.a.stderr, "wire", struct {
			Line string `json:"line"`
		}{string(bytes.TrimRight(line, "\r\n"))})
		if err != nil {
			return 0, err
		}
	}
	return len(b), nil
}
