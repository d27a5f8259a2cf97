module bed/traefik

go 1.26.0

require github.com/traefik/traefik/v3 v3.7.13

// Traefik's own go.mod says the same, which counts only there. Its fork of go-http-auth has one option more.
replace (
	github.com/abbot/go-http-auth => github.com/abbot/go-http-auth v0.4.0
	github.com/gorilla/mux => github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59
	github.com/traefik/traefik/dynamic/ext => ./ext
)
