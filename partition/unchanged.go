package partition

import (
	"bytes"
	"errors"
)

// errDiffers ends the search for what compaction changes.
var errDiffers = errors.New("a batch would change")

// unchanged reports whether a group is one segment that would be written anew byte for
// byte as it is, delete horizons included. Then it is left alone: to read a segment costs
// little, to write and sync it much. It reads as far as the first batch that changes.
func (c *compaction) unchanged(group []*segment) (bool, error) {
	if len(group) > 1 {
		return false, nil
	}
	s, epoch := group[0], c.filter.epoch
	size := s.size.Load()
	err := c.batches(s, 0, func(b Batch, at int64) (err error) {
		if c.out, err = c.filter.clean(c.out[:0], b, at+int64(len(b)) == size); err != nil {
			return s.located(err, at)
		}
		if !bytes.Equal(c.out, b) {
			return errDiffers
		}
		return nil
	})
	if errors.Is(err, errDiffers) {
		c.filter.epoch = epoch // it is gone through once more
		return false, nil
	}
	return err == nil, err
}
