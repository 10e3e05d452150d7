package demoapp

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is what people see of the app.
type page struct {
	Title         string
	Licences      int
	Others        []Link
	Users, Groups []*resource
}

// GroupsOf returns the names of the groups that a user is in.
func (p page) GroupsOf(userID string) []string {
	var names []string
	for _, g := range p.Groups {
		if slices.Contains(g.Members, value{userID}) {
			names = append(names, g.DisplayName)
		}
	}
	return names
}

func (a *app) page(w http.ResponseWriter, _ *http.Request) {
	p := page{Title: a.Title, Licences: a.Licences, Others: a.Others, Users: a.store.all("User"), Groups: a.store.all("Group")}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_ = pageTemplate.Execute(w, p) // the client is gone: nobody to tell
}
