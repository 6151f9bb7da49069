package vfs

import (
	"time"

	"github.com/brokersim/brokersim/internal/gate"
)

// Mem is a disk in memory that survives the crash of the process that uses it.
type Mem struct{}

func NewMem(seed uint64) *Mem                                  { panic("not built yet") }
func (m *Mem) PowerLoss()                                      { panic("not built yet") }
func (m *Mem) Wipe()                                           { panic("not built yet") }
func (m *Mem) Open(name string) (File, error)                  { panic("not built yet") }
func (m *Mem) Create(name string) (File, error)                { panic("not built yet") }
func (m *Mem) Remove(name string) error                        { panic("not built yet") }
func (m *Mem) Rename(from, to string) error                    { panic("not built yet") }
func (m *Mem) MkdirAll(dir string) error                       { panic("not built yet") }
func (m *Mem) List(dir string) ([]string, error)               { panic("not built yet") }
func (m *Mem) SyncDir(dir string) error                        { panic("not built yet") }
func (m *Mem) Session() string                                 { panic("not built yet") }
func NewOS(dir string) (FS, error)                             { panic("not built yet") }
func Gated(fs FS, g *gate.Gate) FS                             { panic("not built yet") }
func WithFaults(fs FS, f *Faults) FS                           { panic("not built yet") }
func RemoveAll(fs FS, dir string) error                        { panic("not built yet") }
func ReadFile(fs FS, name string) ([]byte, error)              { panic("not built yet") }
func WriteFileSynced(fs FS, name string, content []byte) error { panic("not built yet") }

// Op is a set of operations on a disk.
type Op uint16

// The operations.
const (
	OpOpen Op = 1 << iota
	OpCreate
	OpRead
	OpWrite
	OpSync
	OpTruncate
	OpRemove
	OpRename
	OpMkdir
	OpList
	OpSyncDir

	AnyOp Op = 1<<iota - 1
)

// Faults is what is wrong with a disk. The zero value is a healthy one.
type Faults struct{}

func (f *Faults) SlowBy(write, sync time.Duration) (heal func())    { panic("not built yet") }
func (f *Faults) Fail(ops Op, name string, err error) (heal func()) { panic("not built yet") }
func (f *Faults) Full() (heal func())                               { panic("not built yet") }
func (f *Faults) ShortWrite(name string, keep int) (heal func())    { panic("not built yet") }
