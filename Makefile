# Needs Go, git and make; the tests also a C compiler, for the race detector.
# All else is built into .bin, but for PostgreSQL: see the target of that name.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export GOFLAGS := $(GOFLAGS) -buildvcs=false
# Programs are static, as those of images are; the race detector alone needs C.
export CGO_ENABLED := 0

BIN := .bin
# Where the target postgres puts it if it must: looked into last.
export PATH := $(PATH):$(CURDIR)/$(BIN)/postgres/bin
BUILD_TOOL := GOWORK=off go build -o $(CURDIR)/$(BIN)/
GENERATED := proto/gen proto/third_party
GO_FOLDERS := ./libs/... ./proto/... ./services/...

.PHONY: help run test check bench bench-console postgres generate fuzz openapi containers images console console-dev screenshots format lint tools
.NOTPARALLEL:

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 14

run: $(if $(GATEHOUSE_POSTGRES_URL),,postgres) ## Start Gatehouse with a demo organization on http://localhost:8080
	@go build -o $(BIN)/gatehouse ./services/standalone/cmd
	@exec $(BIN)/gatehouse

# Without a C compiler there is no race detector. What runs whole processes runs without
# it: it is the programs that work there, and those are built as they are shipped.
RACE = $(if $(shell command -v $${CC:-gcc}),-race)
test: postgres $(BIN)/gotest ## Run every test of every module, with the race detector
	@$(if $(RACE),,echo "no C compiler: without the race detector")
	@status=0; \
	CGO_ENABLED=$(if $(RACE),1,0) $(BIN)/gotest run $(BIN)/results-test -timeout 30m $(RACE) $$(go list work | grep -v '/e2e$$') || status=1; \
	$(BIN)/gotest run $(BIN)/results-e2e -timeout 30m ./services/standalone/e2e || status=1; \
	exit $$status

check: generate lint ## Everything else that must hold before a commit
	@echo "generated code is committed"
	@git diff --exit-code -- $(GENERATED)
	@new=$$(git ls-files --others --exclude-standard -- $(GENERATED)); \
		if [ -n "$$new" ]; then echo "generated, not in git:"; echo "$$new"; exit 1; fi
	go vet work

bench: postgres ## Drive whole lives of requests and compare with the machine's floors
	go run ./services/standalone/bench -browsers 1000 -joiners 20000
	go test ./services/request/internal/store -run '^$$' -bench Views -benchtime 20x

postgres: ## Get PostgreSQL with the machine's package client, if it has none
	@tools/postgres/install.sh

generate: $(BIN)/buf $(BIN)/apidoc ## Generate Go and openapi.json from the protos
	@rm -rf $(BIN)/generated $(BIN)/replaced proto/third_party
	@$(BIN)/protodeps proto/third_party
	@$(BIN)/buf format -w proto/third_party
	@$(BIN)/buf generate
	@$(BIN)/buf build -o $(BIN)/generated/image.binpb
	@$(BIN)/openapiv3-merge tools/gen/apidoc/base.json $$(find $(BIN)/generated/openapi -name '*.json' | LC_ALL=C sort) \
		| $(BIN)/apidoc $(BIN)/generated/image.binpb > $(BIN)/generated/go/openapi.json
	@if [ -e proto/gen ]; then mv proto/gen $(BIN)/replaced; fi; mv $(BIN)/generated/go proto/gen

format: $(BIN)/buf $(BIN)/golangci-lint ## Format protos and Go
	$(BIN)/buf format -w
	$(BIN)/golangci-lint fmt $(GO_FOLDERS)

FUZZTIME := 5s
fuzz: postgres ## Send each door what nobody would, for FUZZTIME each
	@grep -roE --include='*_test.go' '^func Fuzz[A-Za-z]+' libs services | sort | while IFS=: read -r file target; do \
		echo "$$file $${target#func }"; \
		(cd "$${file%%/*}" && go test "./$$(dirname "$${file#*/}")" -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(FUZZTIME)) >$(CURDIR)/$(BIN)/fuzz.log 2>&1 || { cat $(BIN)/fuzz.log; exit 1; }; \
	done

images: ## Make the images of deploy/Containerfile with podman
	deploy/build.sh $(BIN)/images
	deploy/images.sh $(BIN)/images

# What it could not try is part of the result, so it is shown.
containers: postgres $(BIN)/gotest ## Run the demo in containers, and live in it; needs root and podman
	@rm -f $(BIN)/containers.txt
	@GATEHOUSE_CONTAINERS_REPORT=$(CURDIR)/$(BIN)/containers.txt $(BIN)/gotest run $(BIN)/results-containers -count=1 -tags containers -run '^TestContainers$$' ./services/standalone/e2e \
		|| { cat $(BIN)/containers.txt; exit 1; }
	@cat $(BIN)/containers.txt

openapi: ## Hold openapi.json against spectral and redocly; needs node
	@cd tools/openapi && { [ -d node_modules ] || npm ci --no-audit --no-fund; }
	@cd tools/openapi && npx --no-install spectral lint --fail-severity=hint ../../proto/gen/openapi.json
	@cd tools/openapi && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --no-install redocly lint ../../proto/gen/openapi.json

CONSOLE := services/gateway/console
$(CONSOLE)/node_modules: $(CONSOLE)/package-lock.json
	cd $(CONSOLE) && npm ci --no-audit --no-fund
	@touch $@

console: $(CONSOLE)/node_modules ## Check, test and build the web console; needs node
	cd $(CONSOLE) && npm run --silent types && npm test --silent && npm run --silent build
	@git diff --stat --exit-code -- $(CONSOLE)/dist || { [ -z "$${CI:-}" ] || { echo "the console is not what its source makes"; exit 1; }; }
	@new=$$(git ls-files --others --exclude-standard -- $(CONSOLE)/dist); \
		if [ -n "$$new" ]; then echo "built, not in git:"; echo "$$new"; [ -z "$${CI:-}" ]; fi

# Where it runs: GATEHOUSE, http://localhost:8080 if unset.
console-dev: $(CONSOLE)/node_modules ## Serve the console with hot reload, against a running Gatehouse
	cd $(CONSOLE) && npm run --silent types && npm run dev

# By default with 5000 apps and 10000 requests, on a CPU 4 times slower: APPS, REQUESTS, SLOWDOWN, RUNS.
bench-console: $(if $(GATEHOUSE_POSTGRES_URL),,postgres) $(CONSOLE)/node_modules ## Open the console in a large organization and measure it; needs node and Chromium
	@go build -o $(BIN)/gatehouse ./services/standalone/cmd
	@cd $(CONSOLE) && node bench/bench.mjs $(CURDIR)/$(BIN)/gatehouse

screenshots: $(CONSOLE)/node_modules ## Take pictures of the console into deploy/screenshots; needs node and Chromium
	cd $(CONSOLE) && node e2e/screenshots.mjs $(CURDIR)/deploy/screenshots

lint: $(BIN)/buf $(BIN)/golangci-lint ## Lint protos and Go
	$(BIN)/buf lint
	$(BIN)/buf format -d --exit-code
	@for main in main origin/main; do \
		if git cat-file -e $$main:buf.yaml 2>/dev/null; then \
			echo "buf breaking against $$main"; \
			git archive -o $(BIN)/main.tar $$main buf.yaml proto; \
			$(BIN)/buf breaking --against $(BIN)/main.tar; break; \
		fi; \
	done
	$(BIN)/golangci-lint run $(GO_FOLDERS)
	@for tool in buf gen gotest; do \
		(cd tools/$$tool && GOWORK=off $(CURDIR)/$(BIN)/golangci-lint run ./...); \
	done

tools: $(BIN)/buf $(BIN)/apidoc $(BIN)/golangci-lint $(BIN)/gotest ## Build the tools

# Each file stands for all the tools of its module.
$(BIN)/buf: $(wildcard tools/buf/go.* tools/buf/*/*.go)
	cd tools/buf && $(BUILD_TOOL) tool ./protodeps
	@touch $@

$(BIN)/apidoc: $(wildcard tools/gen/go.* tools/gen/*/*.go)
	cd tools/gen && $(BUILD_TOOL) tool ./apidoc
	@touch $@

$(BIN)/golangci-lint: $(wildcard tools/lint/go.*)
	cd tools/lint && $(BUILD_TOOL) tool
	@touch $@

$(BIN)/gotest: $(wildcard tools/gotest/*)
	@mkdir -p $(BIN)
	@cd tools/gotest && $(BUILD_TOOL) .
	@touch $@
