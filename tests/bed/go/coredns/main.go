// CoreDNS with the plugins a cluster's DNS needs and no others: the full set pulls in the SDKs of several clouds, and
// nothing in the bed's network could be forwarded to.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

func main() {
	// The order decides which plugin sees a query first.
	dnsserver.Directives = []string{"reload", "ready", "health", "log", "errors", "cache", "kubernetes"}
	coremain.Run()
}
