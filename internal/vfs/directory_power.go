package vfs

import (
	"cmp"
	"errors"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A place is a name in a Directory that was used: a file, or a directory with the
// changes of its names that are not durable yet.
type place struct {
	name    string
	in      *place            // nil: it is the root, or detached
	below   map[string]*place // of a directory
	pending []undo
	file    *tracked // nil: a directory
}

// A tracked file knows how much of it is durable.
type tracked struct {
	mu     sync.Mutex
	synced int64 // length
	cuts   int   // how often it was made shorter
}

// undo is how to take back one change of a directory's names.
type undo struct {
	kind   changeKind
	number int64  // of the change, in the order of all
	name   string // that was made, is gone, or was given in a renaming
	kept   string // path of the file that had the name before, put aside; "": none
	lost   bool   // that file could not be put aside
	was    *place // what had the name before; nil: nothing
	source *place // renamed: the directory that it came from
	from   string // renamed: its name there
}

type changeKind int

const (
	made changeKind = iota
	gone
	renamed
)

// at returns the place of a name below p, which is made if need be.
func (p *place) at(name string) *place {
	if name == "" || name == "." {
		return p
	}
	for base := range strings.SplitSeq(name, "/") {
		next := p.below[base]
		if next == nil {
			next = &place{}
			p.put(base, next)
		}
		p = next
	}
	return p
}

func (p *place) put(base string, child *place) {
	if p.below == nil {
		p.below = map[string]*place{}
	}
	child.name, child.in = base, p
	p.below[base] = child
}

// detach takes a name away and returns what had it, nil if it was never used.
func (p *place) detach(name string) *place {
	in := p.at(path.Dir(name))
	child := in.below[path.Base(name)]
	if child != nil {
		delete(in.below, path.Base(name))
		child.in = nil
	}
	return child
}

func (p *place) attach(name string, child *place) {
	if child != nil {
		p.at(path.Dir(name)).put(path.Base(name), child)
	}
}

// path is where the place is, below the root.
func (p *place) path() string {
	if p.in == nil {
		return ""
	}
	return filepath.Join(p.in.path(), p.name)
}

// all yields p and what is below it, and what a change has taken out of there.
func (p *place) all(yield func(*place)) {
	yield(p)
	for _, child := range p.below {
		child.all(yield)
	}
	for _, u := range p.pending {
		if u.was != nil {
			u.was.all(yield)
		}
	}
}

// PowerLoss takes away what was not synced. Every open file is dead afterwards; who
// could still write must be gone before.
func (d *Directory) PowerLoss() error {
	defer d.hold()()
	errs := []error{d.renew()} // before anything is lost
	type change struct {
		in *place
		undo
	}
	var changes []change
	d.root.all(func(p *place) {
		for _, u := range p.pending {
			changes = append(changes, change{p, u})
		}
	})
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(b.number, a.number) }) // the newest first
	for _, c := range changes {
		errs = append(errs, d.takeBack(c.in, c.undo))
	}
	d.root.all(func(p *place) {
		if p.file != nil {
			errs = append(errs, p.file.cut(filepath.Join(d.dir, p.path())))
		}
	})
	d.root = new(place)
	return errors.Join(append(errs, d.forget())...)
}

// takeBack undoes one change of a name in a directory.
func (d *Directory) takeBack(in *place, u undo) error {
	here := filepath.Join(d.dir, in.path(), u.name)
	var err error
	switch u.kind {
	case made:
		err = os.RemoveAll(here)
		delete(in.below, u.name)
	case gone:
		if u.kept == "" {
			err = os.Mkdir(here, 0o755)
		}
	case renamed:
		err = os.Rename(here, filepath.Join(d.dir, u.source.path(), u.from))
		if child := in.below[u.name]; child != nil {
			delete(in.below, u.name)
			u.source.put(u.from, child)
		}
	}
	if u.kept != "" {
		err = cmp.Or(err, os.Rename(u.kept, here))
	}
	if u.was != nil {
		in.put(u.name, u.was)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a later change took it elsewhere, durably
	}
	return err
}

// cut takes away what was not synced of the file at a path.
func (t *tracked) cut(at string) error {
	t.mu.Lock()
	synced := t.synced
	t.mu.Unlock()
	info, err := os.Stat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil || info.Size() <= synced:
		return err
	}
	return os.Truncate(at, synced)
}

// directoryFile is an open file of a Directory.
type directoryFile struct {
	osFile
	disk *Directory
	file *tracked
	life int64
}

func (f *directoryFile) alive(op string) error {
	if f.life != f.disk.life.Load() {
		return pathError(op, f.Name(), fs.ErrClosed)
	}
	return nil
}

func (f *directoryFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.alive("write"); err != nil {
		return 0, err
	}
	return f.osFile.WriteAt(p, off)
}

// Truncate may make the file shorter at once and for good, like a disk that was quick.
func (f *directoryFile) Truncate(size int64) error {
	if err := f.alive("truncate"); err != nil {
		return err
	}
	if err := f.osFile.Truncate(size); err != nil {
		return err
	}
	f.file.shorten(size)
	return nil
}

func (f *directoryFile) Sync() error {
	if err := f.alive("sync"); err != nil {
		return err
	}
	cuts := f.file.shorten(math.MaxInt64)
	size, err := f.Size()
	if err == nil {
		err = f.osFile.Sync()
	}
	if err == nil {
		f.file.durable(size, cuts)
	}
	return err
}

// shorten notes that the file is no longer than size and returns how often it was
// made shorter so far.
func (t *tracked) shorten(size int64) (cuts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if size != math.MaxInt64 {
		t.synced = min(t.synced, size)
		t.cuts++
	}
	return t.cuts
}

// durable notes that the file was synced when it was size long. If it was made shorter
// meanwhile, nobody knows which of its bytes the sync still met.
func (t *tracked) durable(size int64, cuts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cuts == cuts {
		t.synced = max(t.synced, size)
	}
}
