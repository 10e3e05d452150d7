package live

// Listening is to how many organizations a hub listens.
func (h *Hub) Listening() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.organizations)
}
