//go:build tools

// Pins the module whose own program `cmd/kwok` the build script compiles, with the versions of the others.
package main

import _ "sigs.k8s.io/kwok/pkg/kwok/cmd"
