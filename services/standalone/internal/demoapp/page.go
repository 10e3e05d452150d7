package demoapp

import (
	"bytes"
	"cmp"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
)

const shownOnPage = 200

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>{{.Title}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c1c1e; background: #fff; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #d9d9de; vertical-align: top; }
.off { color: #6b6b70; }
@media (prefers-color-scheme: dark) { body { color: #f2f2f4; background: #1c1c1e; } th, td { border-color: #48484d; } .off { color: #a5a5ab; } }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<h2>Accounts ({{.Users}})</h2>
{{if .Accounts}}<table>
<thead><tr><th scope="col">Name</th><th scope="col">User name</th><th scope="col">Groups</th><th scope="col">Roles and licences</th><th scope="col">State</th><th scope="col">Since</th></tr></thead>
<tbody>
{{range .Accounts}}<tr{{if not .Active}} class="off"{{end}}><td>{{.Name}}</td><td>{{.UserName}}</td><td>{{.Groups}}</td><td>{{.Holds}}</td><td>{{if .Active}}active{{else}}disabled{{end}}</td><td><time datetime="{{.Since}}">{{.Since}}</time></td></tr>
{{end}}</tbody>
</table>{{if gt .Users (len .Accounts)}}<p>The newest {{len .Accounts}} are shown.</p>{{end}}
{{else}}<p>Nobody has an account yet.</p>
{{end}}<h2>Groups ({{len .Groups}})</h2>
<table>
<thead><tr><th scope="col">Group</th><th scope="col">Members</th></tr></thead>
<tbody>
{{range .Groups}}<tr><td>{{.Name}}</td><td>{{.Members}}</td></tr>
{{end}}</tbody>
</table>
</body>
</html>
`))

// page shows people what SCIM clients did.
func (a *App) page(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/":
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
		return
	}
	type account struct {
		Name, UserName, Groups, Holds, Since string
		Active                               bool
	}
	type groupLine struct {
		Name    string
		Members int
	}
	data := struct {
		Title    string
		Users    int
		Accounts []account
		Groups   []groupLine
	}{Title: a.title}

	s := a.store
	s.mu.RLock()
	users := s.sortedUsers()
	data.Users = len(users)
	slices.Reverse(users)
	for _, u := range users[:min(len(users), shownOnPage)] {
		line := account{Name: u.DisplayName, UserName: u.UserName, Active: u.Active, Since: u.Created.Format(time.DateTime)}
		if line.Name == "" && u.Name != nil {
			line.Name = strings.TrimSpace(u.Name.GivenName + " " + u.Name.FamilyName)
		}
		var in, holds []string
		for _, g := range s.show(u).in {
			in = append(in, g.Display)
		}
		for _, v := range slices.Concat(u.Roles, u.Entitlements) {
			holds = append(holds, v.Value)
		}
		line.Groups, line.Holds = strings.Join(in, ", "), strings.Join(holds, ", ")
		data.Accounts = append(data.Accounts, line)
	}
	for _, g := range s.groups {
		data.Groups = append(data.Groups, groupLine{g.DisplayName, len(g.members)})
	}
	s.mu.RUnlock()
	slices.SortFunc(data.Groups, func(a, b groupLine) int { return cmp.Compare(a.Name, b.Name) })

	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, data); err != nil {
		http.Error(w, "The page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = b.WriteTo(w)
}
