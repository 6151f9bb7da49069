package partition

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/brokersim/brokersim/metadata"
)

// A CorruptError says where a log's files hold what was never written to them. It
// is metadata.ErrCorruptMessage.
type CorruptError struct {
	File   string // "orders-0/00000000000000000000.log"
	Offset int64  // position in the file
	Why    string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is corrupt at byte %d: %s", e.File, e.Offset, e.Why)
}

// Is makes a CorruptError a metadata.ErrCorruptMessage.
func (e *CorruptError) Is(target error) bool { return target == metadata.ErrCorruptMessage }

// A RecordError names the record for which a batch was refused. It wraps the
// error that a client is told.
type RecordError struct {
	Index int // of the record in its batch
	Why   string
	Err   error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("record %d: %s: %v", e.Index, e.Why, e.Err)
}

// Unwrap returns the error that a client is told.
func (e *RecordError) Unwrap() error { return e.Err }

// storage wraps what the disk answered.
func (l *Log) storage(doing string, err error) error {
	return fmt.Errorf("%s: %s: %w: %w", l.dir, doing, metadata.ErrStorage, err)
}

// refuse wraps err with the log and the reason.
func (l *Log) refuse(err error, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", l.dir, fmt.Sprintf(format, args...), err)
}

// closed tells the error of a file that somebody has closed meanwhile.
func closedFile(err error) bool { return errors.Is(err, fs.ErrClosed) }
