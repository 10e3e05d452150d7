package scim

import (
	"bufio"
	"fmt"
	"net/http"
)

const (
	// memberPage is how many members of a group are read at once.
	memberPage = 1000
	// streamBuffer is how long an answer may be, in bytes, to be written as a whole.
	streamBuffer = 64 << 10
)

// groupResource is a group in an answer. Its members are read, a page at a time, while
// the answer is written: a list of large groups is never in memory.
type groupResource struct {
	id  string
	doc document // as it is shown, without members
	sel selection
}

func (h *Handler) groupResource(c *call, g Group, sel selection) (groupResource, error) {
	g.Members = nil
	doc, err := h.renderGroup(c.base, g)
	return groupResource{id: g.ID, doc: sel.project(h.groups, doc), sel: sel}, err
}

// answerWriter writes the head of an answer before its body.
type answerWriter struct {
	c      *call
	status int
	begun  bool
}

func (w *answerWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.c.head(w.status, -1)
	}
	return w.c.w.Write(p)
}

// stream answers with what write writes. What goes wrong while the answer is short is
// answered as any fault; later the connection is cut, so that no half of an answer is
// taken for one.
func (h *Handler) stream(c *call, status int, write func(*bufio.Writer) error) error {
	out := &answerWriter{c: c, status: status}
	b := bufio.NewWriterSize(out, streamBuffer)
	err := write(b)
	switch {
	case err != nil && !out.begun:
		return err
	case err != nil:
		h.cfg.Log.WarnContext(c.r.Context(), "SCIM answer broke off", "method", c.r.Method, "source_id", c.src.ID, "error", err)
		panic(http.ErrAbortHandler)
	case !out.begun:
		out.begun = true
		c.head(status, b.Buffered())
	}
	_ = b.Flush() // the client has gone, which is its business
	return nil
}

// writeResource writes a resource of an answer.
func (h *Handler) writeResource(c *call, b *bufio.Writer, resource any) error {
	g, ok := resource.(groupResource)
	if ok {
		return h.writeGroup(c, b, g)
	}
	data, err := encode(resource)
	if err != nil {
		return err
	}
	_, err = b.Write(data)
	return gone(err)
}

// writeGroup writes a group and, behind the rest, its members.
func (h *Handler) writeGroup(c *call, b *bufio.Writer, g groupResource) error {
	data, err := encode(g.doc)
	if err != nil {
		return err
	}
	if _, err := b.Write(data[:len(data)-1]); err != nil {
		return gone(err)
	}
	if g.sel.wants(h.groups, "members") {
		if err := h.writeMembers(c, b, g); err != nil {
			return err
		}
	}
	return gone(b.WriteByte('}'))
}

func (h *Handler) writeMembers(c *call, b *bufio.Writer, g groupResource) error {
	separator, end := `,"members":[`, ""
	for after := ""; ; {
		page, err := h.cfg.Directory.ListMembers(c.r.Context(), c.src, g.id, after, memberPage)
		if err != nil {
			return fmt.Errorf("list members: %w", err)
		}
		shown := g.sel.project(h.groups, document{"members": h.renderGroupMembers(c.base, page)})
		list, _ := shown["members"].([]any)
		for _, m := range list {
			data, err := encode(m)
			if err != nil {
				return err
			}
			if _, err := b.WriteString(separator + string(data)); err != nil {
				return gone(err)
			}
			separator, end = ",", "]"
		}
		if len(page) < memberPage {
			_, err := b.WriteString(end)
			return gone(err)
		}
		after = page[len(page)-1].Value
	}
}

// gone says that nobody reads the answer any more.
func gone(err error) error {
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
