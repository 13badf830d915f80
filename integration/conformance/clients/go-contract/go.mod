module ottla.dev/conformance/clients/go-contract

go 1.26.0
