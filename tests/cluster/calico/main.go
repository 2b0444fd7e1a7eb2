// calico holds what enforces NetworkPolicy on the test node: the agent (felix) and the CNI plugin.
package main

import (
	"os"

	"github.com/projectcalico/calico/cni-plugin/pkg/plugin"
	"github.com/projectcalico/calico/felix/daemon"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "felix" {
		daemon.Run(os.Args[2], "test", "test", "test")
		return
	}
	plugin.Main("test")
}
