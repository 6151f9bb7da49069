//go:build wasip1

package coordinator

import "errors"

// openDatabase has nothing to open here: the database needs to map files into memory.
func openDatabase(*Node) (durable, error) {
	return nil, errors.New("Raft's database does not exist on this system; leave out the directory and use memory")
}
