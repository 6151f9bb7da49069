package consumergroup

import "slices"

// supports reports whether a group could take a member that knows these
// protocols: some of them is known to every member there is.
func (g *ClassicGroup) supports(protocolType string, protocols []Protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	return protocolType == g.protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool { return g.common(p.Name) })
}

// common reports whether every member knows a protocol.
func (g *ClassicGroup) common(name string) bool {
	for _, m := range g.members {
		if _, ok := m.metadata(name); !ok {
			return false
		}
	}
	return true
}

// vote chooses the generation's protocol. Each member has one vote, for the first
// in its list that all of them know; between equals, the elder member's choice.
func (g *ClassicGroup) vote() string {
	votes, chosen := map[string]int{}, ""
	for _, m := range g.members {
		for _, p := range m.Protocols {
			if votes[p.Name] > 0 || g.common(p.Name) {
				votes[p.Name]++
				break
			}
		}
	}
	for _, m := range g.members {
		for _, p := range m.Protocols {
			if votes[p.Name] > votes[chosen] {
				chosen = p.Name
			}
		}
	}
	return chosen
}

func (m *Member) metadata(protocol string) (string, bool) {
	for i := range m.Protocols {
		if m.Protocols[i].Name == protocol {
			return m.Protocols[i].Metadata, true
		}
	}
	return "", false
}
