# What a developer runs. `make test` presumes make and Go only.
#
#   make test     install what the tests need (as root), then every test, with the race detector
#   make short    the quick tests only, no servers
#   make check    gofmt, vet (also for windows, darwin and 386), staticcheck, the architecture
#   make build    a static program in build/roost
#   make bench    the benchmarks beside the code
#   make fuzz     each fuzz target for FUZZTIME (10s)
#   make vuln     known vulnerabilities in what we use
#   make deb      a Debian package in build/

GO       ?= go
FUZZTIME ?= 10s
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0)

.PHONY: all test short check fmt vet staticcheck house build bench fuzz vuln deb clean

all: check build

# Outside of CI a program that could not be installed only makes its tests skip.
test:
	@script/setup || [ "$${CI:-}" != true ]
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 25m ./...

short:
	$(GO) test -short ./...

check: fmt vet staticcheck house

fmt:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; }

vet:
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOARCH=386 $(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

# The test of ARCHITECTURE.md against the code, and of the documents against the tree.
house:
	$(GO) test .

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o build/roost ./cmd/roost

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz:
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || :); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

# The database of vulnerabilities is asked over the network. That it cannot be asked is said and is no failure; a
# vulnerability (exit status 3) is one.
vuln:
	@status=0; $(GO) tool govulncheck ./... || status=$$?; case $$status in \
	0) ;; \
	3) echo "govulncheck: vulnerable, see above"; exit 1 ;; \
	*) echo "govulncheck: NOT ASKED: the vulnerability database could not be read (exit status $$status)" ;; \
	esac

deb: build
	packaging/deb/build build/roost $(VERSION) build

clean:
	rm -rf build
