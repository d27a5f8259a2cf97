module bed/traefik

go 1.26.0

require github.com/traefik/traefik/v3 v3.7.13

// As in Traefik's own go.mod, which counts only there; of its go-http-auth an older version is to be had.
replace (
	github.com/abbot/go-http-auth => github.com/containous/go-http-auth v0.4.1-0.20210329152427-e70ce7ef1ade
	github.com/gorilla/mux => github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59
	github.com/traefik/traefik/dynamic/ext => ./ext
)
