// Package clients holds Go clients that are not franz-go, and franz-go beside them, to one
// story: a group works through a topic over TCP while its members come, go and die, and
// while the group's broker dies.
//
// story_test.go is the story. A client takes part by a function that joins a member:
// franz_test.go, sarama_test.go, kafkago_test.go. What a member is given is asked of the
// brokers, so that it is judged in the same way for all of them. A member dies by its
// lifeline: all its connections end at once and it gets no others, as when its process
// is killed.
package clients
