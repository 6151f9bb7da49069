package state

import (
	"fmt"

	"github.com/brokersim/brokersim/metadata"
)

// ChangeGroup commits what the active coordinator has decided for one group. Presumes is
// the metadata offset of the group's newest fact, 0 if there is no group; if it is another
// one, nothing happens. The facts are package consumergroup's. Whole facts stand for
// all of the group; none, and whole, delete it.
type ChangeGroup struct {
	ID       string
	Presumes int64
	Whole    bool
	Facts    []byte
}

// apply is compare and set: whoever decided knew all that was committed.
func (c ChangeGroup) apply(w *work) {
	if err := c.refuse(w); err != nil {
		w.result.Err = err
		return
	}
	w.result.GroupOffset = w.offset
	w.result.Deltas = append(w.result.Deltas, metadata.GroupChanged{ID: c.ID, Whole: c.Whole, Facts: c.Facts})
}

// refuse says why a change is not made.
func (c ChangeGroup) refuse(w *work) error {
	g, known := w.image.Group(c.ID)
	switch {
	case g.Offset != c.Presumes:
		return fmt.Errorf("%w: group %q is at %d, not %d", metadata.ErrInvalidUpdateVersion, c.ID, g.Offset, c.Presumes)
	case len(c.ID) > metadata.MaxString || c.ID == "":
		return fmt.Errorf("%w: of %d bytes", metadata.ErrInvalidGroupID, len(c.ID))
	case len(c.Facts) > metadata.MaxGroupFacts:
		return fmt.Errorf("%w: group %q changes by %d bytes, %d are allowed", metadata.ErrMessageTooLarge, c.ID, len(c.Facts), metadata.MaxGroupFacts)
	case !known && (!c.Whole || len(c.Facts) == 0):
		return fmt.Errorf("%w: %q", metadata.ErrGroupIDNotFound, c.ID)
	case c.Whole:
		return nil
	case len(c.Facts) == 0:
		return fmt.Errorf("%w: group %q is to change by nothing", metadata.ErrInvalidRequest, c.ID)
	case len(g.Since) >= metadata.MaxGroupChanges || g.Size()+len(c.Facts) > 2*metadata.MaxGroupFacts:
		return fmt.Errorf("%w: group %q has %d changes of %d bytes and is to be made whole", metadata.ErrMessageTooLarge, c.ID, len(g.Since), g.Size())
	}
	return nil
}

func (c ChangeGroup) encode(e *metadata.Encoder) {
	e.Byte(tagChangeGroup)
	e.String(c.ID)
	e.Int(c.Presumes)
	e.Bool(c.Whole)
	e.Bytes(c.Facts)
}

func decodeChangeGroup(d *metadata.Decoder) ChangeGroup {
	return ChangeGroup{ID: d.String(), Presumes: d.Int(), Whole: d.Bool(), Facts: d.Bytes(metadata.MaxGroupFacts)}
}
