package offsets

import (
	"time"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/metadata"
)

// An Age says which commits are too old.
type Age struct {
	Now       time.Time
	Retention time.Duration // offsets.retention.minutes
	// Topic returns the id of the topic of that name, not ok if there is none.
	Topic func(name string) (metadata.UUID, bool)
}

// Expired returns the places of a group whose commits are to be forgotten, in order:
//   - those of topics that are gone, or were made again, at once;
//   - those that say when themselves, then;
//   - of a group without members those that are older than the retention, and so is the
//     moment at which the group became empty (KIP-211);
//   - of a group of consumers those of topics that no member subscribes to, older than
//     the retention;
//   - of simple consumers, who make no group, those older than the retention.
func (t *Table) Expired(group string, f consumergroup.Facts, age Age) []Place {
	g := t.groups[group]
	if g == nil {
		return nil
	}
	expired := map[Place]Commit{}
	for p, c := range g.commits {
		if age.over(f, p, c) {
			expired[p] = c
		}
	}
	return Places(expired)
}

// Gone reports whether the topic of a commit is not there any more.
func (a Age) Gone(p Place, c Commit) bool {
	id, ok := a.Topic(p.Topic)
	return !ok || !c.TopicID.IsZero() && c.TopicID != id
}

func (a Age) over(f consumergroup.Facts, p Place, c Commit) bool {
	if a.Gone(p, c) {
		return true
	}
	since := c.At
	switch classic, _ := f.(*consumergroup.ClassicFacts); {
	case classic == nil || classic.ProtocolType == "":
	case classic.State == consumergroup.Empty:
		since = max(since, classic.Since)
	default:
		if subscribes, known := consumergroup.Subscribes(f, p.Topic); subscribes || !known || classic.State != consumergroup.Stable {
			return false
		}
	}
	if c.Expires >= 0 {
		return a.Now.UnixMilli() >= c.Expires
	}
	return a.Now.Sub(time.UnixMilli(since)) >= a.Retention
}
