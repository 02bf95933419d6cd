# Needs Go, git and, for check, a C compiler. Everything else is fetched as a
# pinned Go module by the target that uses it.

FUZZTIME ?= 1m
NATS     := github.com/nats-io/nats-server/v2@v2.15.2
PROGRAM  := claudemesh$(shell go env GOEXE)
# The version is stamped by the go command from the tags and commits of git.
VCS      := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)

.DEFAULT_GOAL := help
.PHONY: help build test check fuzz bench bench-peers cover clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the program: static, reproducible, with its version
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(VCS) -ldflags '-s -w' -o $(PROGRAM) .

test: ## Run all tests
	go test ./...

check: ## All that must be clean before a commit: gofmt, vet, staticcheck, go.mod, race
	.ci/run format vet staticcheck mod race

fuzz: ## Fuzz every target for FUZZTIME (1m)
	FUZZTIME=$(FUZZTIME) .ci/run fuzz

bench: build ## Measure the packages and the whole
	go test -run '^$$' -bench . -benchmem ./...
	./$(PROGRAM) bench --suite

bench-peers: build ## Measure beside Redis and NATS, which it installs
	@command -v redis-server >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq redis-server; } || \
	  { echo "install redis-server first" >&2; exit 1; }
	GOBIN='$(CURDIR)/dist/bin' go install $(NATS)
	PATH='$(CURDIR)/dist/bin':"$$PATH" ./$(PROGRAM) bench --suite

cover: ## Measure what the tests cover; dist/cover.html shows it
	mkdir -p dist
	go test -coverpkg ./... -coverprofile dist/cover.out ./...
	go tool cover -html dist/cover.out -o dist/cover.html
	go tool cover -func dist/cover.out | tail -n 1

clean: ## Remove what was made
	rm -rf $(PROGRAM) dist
