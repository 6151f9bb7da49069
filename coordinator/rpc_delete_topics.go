package coordinator

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// DeleteTopics (20), in an Envelope: by name, or from version 6 on by id as well.
// The topics are gone from the metadata when the answer goes out; brokers drop
// their replicas when they hear of it. Left out: the timeout.

func (a *active) deleteTopics(req *kmsg.DeleteTopicsRequest) (kmsg.Response, error) {
	refs, refused := topicRefs(req)
	cmd := state.DeleteTopics{}
	for i, ref := range refs {
		if refused[i] == nil {
			cmd.Topics = append(cmd.Topics, ref)
		}
	}
	var result state.Result
	if len(cmd.Topics) > 0 {
		var err error
		if result, err = a.n.propose(a.ctx, cmd); err != nil {
			return nil, err
		}
	}
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	resp.Topics = []kmsg.DeleteTopicsResponseTopic{}
	done := result.Deleted
	for i, ref := range refs {
		d := state.DeletedTopic{TopicRef: ref, Err: refused[i]}
		if refused[i] == nil && len(done) > 0 {
			d, done = done[0], done[1:]
		}
		t := kmsg.NewDeleteTopicsResponseTopic()
		t.TopicID, t.ErrorCode, t.ErrorMessage = d.ID, wire.Code(d.Err), message(d.Err)
		if d.Name != "" || req.Version < 6 { // by an unknown id there is no name to tell
			t.Topic = kmsg.StringPtr(d.Name)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}

// topicRefs translates the topics of the request and says which contradict themselves.
func topicRefs(req *kmsg.DeleteTopicsRequest) (refs []state.TopicRef, refused []error) {
	for _, name := range req.TopicNames {
		refs = append(refs, state.TopicRef{Name: name})
	}
	for _, t := range req.Topics {
		ref := state.TopicRef{ID: t.TopicID}
		if t.Topic != nil {
			ref.Name = *t.Topic
		}
		refs = append(refs, ref)
	}
	refused = make([]error, len(refs))
	seen := map[state.TopicRef]bool{}
	for i, ref := range refs {
		switch {
		case ref.ID.IsZero() == (ref.Name == ""):
			refused[i] = fmt.Errorf("%w: a topic is named by its name or by its id", metadata.ErrInvalidRequest)
		case seen[ref]:
			refused[i] = fmt.Errorf("%w: a topic is there more than once", metadata.ErrInvalidRequest)
		}
		seen[ref] = true
	}
	return refs, refused
}
