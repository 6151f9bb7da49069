package vfs

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// A Directory is a disk in a directory of the real machine that can lose power, as
// Mem can, while the machine runs on. It knows how long each file was at its last
// sync and which names have changed since the last SyncDir, and a power loss cuts the
// files back and undoes the changes. It takes the worst case, always: nothing that was
// not synced survives, but what was written over synced bytes.
//
// What a Directory finds when it is mounted counts as synced. So a Directory that is
// mounted anew, as after the crash of the process, has lost nothing; and if the machine
// itself lost power meanwhile, Session says so, by the kernel's boot id.
//
// Beside the directory it needs another one on the same file system, for files that
// were removed or replaced until that is durable, and for the session. It is safe for
// concurrent use. Its lock is a slot and is never held while a file is written or synced.
type Directory struct {
	osFS
	aside string

	life    atomic.Int64 // power losses and wipes: open files of an earlier life are dead
	renewed atomic.Pointer[string]

	slot    chan struct{} // guards what follows
	root    *place
	changes int64 // of names, so far
	kept    int64 // files put aside, so far
}

const sessionFile = "session"

// NewDirectory returns the disk that is the directory dir. Nothing is touched before
// Mount, which must come before anything else.
func NewDirectory(dir, aside string) *Directory {
	d := &Directory{osFS: osFS{dir, bootID()}, aside: aside, slot: make(chan struct{}, 1), root: new(place)}
	d.renewed.Store(new(string))
	return d
}

// Mount makes the directories where they are missing, and forgets what a dead process
// had put aside.
func (d *Directory) Mount() error {
	for _, dir := range []string{d.dir, d.aside} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(d.aside, sessionFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	renewed := strings.TrimSpace(string(text))
	d.renewed.Store(&renewed)
	return d.forget()
}

// Session changes with PowerLoss, Wipe and the machine's own restarts; "" where the
// machine does not tell of those.
func (d *Directory) Session() string {
	if d.session == "" {
		return ""
	}
	return d.session + *d.renewed.Load()
}

// hold takes the slot until release is called.
func (d *Directory) hold() (release func()) {
	d.slot <- struct{}{}
	return func() { <-d.slot }
}

// Open opens an existing file.
func (d *Directory) Open(name string) (File, error) {
	defer d.hold()()
	f, err := d.open("open", name, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	return d.track(f.(osFile), name)
}

// Create makes a file, or empties the one that is there.
func (d *Directory) Create(name string) (File, error) {
	defer d.hold()()
	if at, err := d.path("create", name); err != nil {
		return nil, err
	} else if _, err := os.Lstat(at); err == nil {
		return d.empty(name)
	}
	f, err := d.open("create", name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	d.changed(name, undo{kind: made})
	return d.track(f.(osFile), name)
}

func (d *Directory) empty(name string) (File, error) {
	f, err := d.open("create", name, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	t, err := d.track(f.(osFile), name)
	if err == nil {
		err = t.Truncate(0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// track makes the open file one whose syncs are known. The slot is held.
func (d *Directory) track(f osFile, name string) (File, error) {
	p := d.root.at(name)
	if p.file == nil {
		size, err := f.Size()
		if err != nil {
			f.Close()
			return nil, err
		}
		p.file = &tracked{synced: size}
	}
	return &directoryFile{f, d, p.file, d.life.Load()}, nil
}

// MkdirAll makes a directory and those above it, where they are missing.
func (d *Directory) MkdirAll(name string) error {
	defer d.hold()()
	names, err := split("mkdir", name)
	if err != nil {
		return err
	}
	for i := range names {
		part := path.Join(names[:i+1]...)
		at := filepath.Join(d.dir, filepath.FromSlash(part))
		if info, err := os.Stat(at); err == nil && info.IsDir() {
			continue
		}
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		d.changed(part, undo{kind: made})
	}
	return nil
}

// Remove removes a file or an empty directory.
func (d *Directory) Remove(name string) error {
	defer d.hold()()
	at, err := d.path("remove", name)
	if err != nil {
		return err
	}
	if at == d.dir {
		return pathError("remove", name, fs.ErrInvalid)
	}
	u := undo{kind: gone}
	info, err := os.Lstat(at)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		d.keep(at, name, info.Size(), &u)
	}
	if err := os.Remove(at); err != nil {
		d.drop(u)
		return err
	}
	u.was = d.root.detach(name)
	d.changed(name, u)
	return nil
}

// Rename gives a file or directory another name, atomically.
func (d *Directory) Rename(from, to string) error {
	defer d.hold()()
	u := undo{kind: renamed, from: from}
	if target, err := d.path("rename", to); err == nil && from != to {
		if info, err := os.Lstat(target); err == nil && !info.IsDir() {
			d.keep(target, to, info.Size(), &u)
		}
	}
	if err := d.osFS.Rename(from, to); err != nil || from == to {
		d.drop(u)
		return err
	}
	u.was = d.root.detach(to)
	u.source = d.root.at(path.Dir(from))
	u.from = path.Base(from)
	moved := d.root.detach(from)
	d.changed(to, u)
	d.root.attach(to, moved)
	return nil
}

// SyncDir makes the names in a directory durable.
func (d *Directory) SyncDir(name string) error {
	release := d.hold()
	p, upTo := d.root.at(name), d.changes
	release()
	if err := d.osFS.SyncDir(name); err != nil {
		return err
	}
	defer d.hold()()
	d.settle(p, upTo)
	return nil
}

// settle forgets how to undo the changes of a directory's names up to a number.
func (d *Directory) settle(p *place, upTo int64) {
	n := 0
	for n < len(p.pending) && p.pending[n].number <= upTo {
		d.drop(p.pending[n])
		n++
	}
	p.pending = append([]undo(nil), p.pending[n:]...)
}

// changed remembers how to undo what just happened to name. The slot is held.
func (d *Directory) changed(name string, u undo) {
	d.changes++
	u.number, u.name = d.changes, path.Base(name)
	in := d.root.at(path.Dir(name))
	in.pending = append(in.pending, u)
	if u.lost {
		d.settle(in, d.changes) // it cannot be undone: then it and those before it are durable
	}
}

// keep puts the file at a path aside before its name goes.
func (d *Directory) keep(at, name string, size int64, u *undo) {
	if p := d.root.at(name); p.file == nil {
		p.file = &tracked{synced: size}
	}
	d.kept++
	u.kept = filepath.Join(d.aside, fmt.Sprintf("gone-%d", d.kept))
	if os.Link(at, u.kept) != nil {
		u.kept, u.lost = "", true
	}
}

// drop lets go of what a change had put aside.
func (d *Directory) drop(u undo) {
	if u.kept != "" {
		_ = os.Remove(u.kept) // what stays is removed by the next Mount
	}
	if u.was != nil {
		d.settle(u.was, d.changes)
	}
}

// forget removes whatever is put aside.
func (d *Directory) forget() error {
	kept, err := filepath.Glob(filepath.Join(d.aside, "gone-*"))
	for _, k := range kept {
		err = cmp.Or(err, os.Remove(k))
	}
	return err
}

// renew makes the session a new one, for good.
func (d *Directory) renew() error {
	renewed := "." + rand.Text()
	d.renewed.Store(&renewed)
	d.life.Add(1)
	return WriteFileSynced(osFS{dir: d.aside}, sessionFile, []byte(renewed+"\n"))
}

// Wipe takes everything away, like a new disk.
func (d *Directory) Wipe() error {
	defer d.hold()()
	err := d.renew()
	d.root = new(place)
	names, e := d.List(".")
	err = cmp.Or(err, e)
	for _, name := range names {
		err = cmp.Or(err, os.RemoveAll(filepath.Join(d.dir, name)))
	}
	return cmp.Or(err, d.forget())
}
