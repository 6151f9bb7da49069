package consumergroup

import (
	"fmt"
	"strings"
)

// How the stories spell what happens.

func factWords(f Fact) string {
	switch f := f.(type) {
	case Formed:
		if len(f.Members) == 0 {
			return fmt.Sprintf("%v in generation %d", f.State, f.Generation)
		}
		var members []string
		for _, m := range f.Members {
			members = append(members, m.ID)
		}
		return fmt.Sprintf("generation %d formed of %s, leader %s, protocol %s",
			f.Generation, strings.Join(members, " "), f.Leader, f.Protocol)
	case Rebalancing:
		return "members are to join"
	case Assigned:
		var given []string
		for _, a := range f.Assignments {
			given = append(given, fmt.Sprintf("%s [%s]", a.Member, a.Bytes))
		}
		return "assigned " + strings.Join(given, " ")
	case Replaced:
		return fmt.Sprintf("%s is %s now", f.Old, f.New.ID)
	case Removed:
		words := strings.Join(f.Members, " ") + " removed"
		if f.Leader != "" {
			words += ", leader " + f.Leader
		}
		return words
	default:
		return "deleted"
	}
}

func requestWords(c *call) string {
	who := "admin"
	if c.by != nil {
		who = c.by.name
	}
	return fmt.Sprintf("%s's %s", who, strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", c.request), "consumergroup.")))
}

func answerWords(c *call, a Answer) string {
	words := requestWords(c) + ": "
	switch r := a.Reply.(type) {
	case JoinReply:
		words += joinWords(r, a.Err)
	case SyncReply:
		words += fmt.Sprintf("[%s]", r.Assignment)
	case LeaveReply:
		for i, l := range r {
			if i > 0 {
				words += ", "
			}
			words += strings.TrimPrefix(l.MemberID+"@"+l.Instance, "@")
			words = strings.TrimSuffix(words, "@")
			if l.Err != nil {
				words += " " + code(l.Err)
			} else {
				words += " has left"
			}
		}
	default:
		if a.Err != nil {
			return words + code(a.Err)
		}
		return words + "ok"
	}
	return words
}

func joinWords(r JoinReply, err error) string {
	if err != nil {
		if r.MemberID != "" {
			return code(err) + " as " + r.MemberID
		}
		return code(err)
	}
	words := fmt.Sprintf("%s in generation %d, leader %s", r.MemberID, r.Generation, r.Leader)
	if r.Members != nil {
		words += " of"
		for _, m := range r.Members {
			words += " " + m.ID
			if m.Instance != "" {
				words += "@" + m.Instance
			}
		}
	}
	if r.SkipAssignment {
		words += ", skips the assignment"
	}
	return words
}

// factsWords tells everything that is committed, on a line for each member.
func factsWords(facts Facts) []string {
	f, ok := facts.(*ClassicFacts)
	if !ok {
		return []string{"no such group"}
	}
	lines := []string{fmt.Sprintf("%v, generation %d, type %q, protocol %q, leader %q", f.State, f.Generation, f.ProtocolType, f.Protocol, f.Leader)}
	for _, m := range f.Members {
		line := "  " + m.ID
		if m.Instance != "" {
			line += "@" + m.Instance
		}
		lines = append(lines, line+" ["+m.Assignment+"]")
	}
	return lines
}
