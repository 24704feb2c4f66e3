# Two commands are enough: `make demo` and `make test`.

STATICCHECK := go tool staticcheck
PACKAGES    := ./...
# Packages that start goroutines, or promise to serve several.
RACE        := . ./examples/serve ./torch ./metrics ./data/... ./checkpoint ./eval
ROUNDS      := 5
BENCHTIME   := 2s

.PHONY: help demo test build deps check race bench

help: ## say what each target does
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

demo: build ## install what is missing, train on real images, show the result
	@bin/pagoda demo

# One package at a time (-p 1): each uses all cores, and threads that share a core spin.
test: deps check ## everything the project checks
	@go test -p 1 $(PACKAGES)
	@$(MAKE) --no-print-directory race

build: deps ## build bin/pagoda
	@go build -o bin/pagoda ./cmd/pagoda

deps: ## install what is missing
	@scripts/deps.sh

check: ## formatting, go vet, staticcheck
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then echo "run gofmt -w on: $$unformatted"; exit 1; fi
	@go vet $(PACKAGES)
	@$(STATICCHECK) $(PACKAGES)

race: ## tests of the packages with goroutines under the race detector
	@go test -p 1 -race -short $(RACE)

bench: build ## measure against plain PyTorch (ROUNDS=5 BENCHTIME=2s)
	@go run ./bench -rounds $(ROUNDS) -time $(BENCHTIME)
	@go test ./metrics -run '^$$' -bench PrecisionRecall -benchtime $(ROUNDS)x
