//go:build tools

// Package kwok pins the module whose own program `cmd/kwok` the build script compiles.
package kwok

import _ "sigs.k8s.io/kwok/pkg/kwok/cmd"
