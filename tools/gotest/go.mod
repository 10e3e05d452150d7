module gatehouse.dev/tools/gotest

go 1.26.0
