package metadata

import (
	"fmt"
	"strings"
)

const maxTopicName = 249 // characters; a directory is named topic-partition

// ValidateTopicName returns ErrInvalidTopic, with the reason, unless name is one
// that Kafka allows. Whether it collides with another topic's name is for
// whoever knows the other topics: see CollisionKey.
func ValidateTopicName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: the name is empty", ErrInvalidTopic)
	case name == "." || name == "..":
		return fmt.Errorf("%w: the name cannot be %q", ErrInvalidTopic, name)
	case len(name) > maxTopicName:
		return fmt.Errorf("%w: a name of %d characters, %d are allowed, begins with %q", ErrInvalidTopic, len(name), maxTopicName, name[:32])
	}
	for i := range len(name) {
		if c := name[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return fmt.Errorf("%w: %q has a character other than a-z, A-Z, 0-9, '.', '_' and '-'", ErrInvalidTopic, name)
		}
	}
	return nil
}

// CollisionKey is equal for names that differ in '.' and '_' only. Kafka refuses
// such neighbours: its metrics could not tell them apart.
func CollisionKey(name string) string { return strings.ReplaceAll(name, ".", "_") }

// InternalTopic reports whether a topic is one of Kafka's own: brokers keep in it what they
// know for clients.
func InternalTopic(name string) bool { return name == OffsetsTopic || name == "__transaction_state" }
