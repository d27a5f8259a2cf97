// Package ext is what Traefik's module leaves to those who extend it: nothing.
package ext

type (
	HTTP   struct{}
	Router struct{}
)
