package broker

// DescribeConfigs (key 32), versions 0 to 4: what topics and this broker are
// configured with, where each value comes from and what it means. What configs
// there are is told by package metadata alone.
//
// Left out: loggers, client metrics and groups (INVALID_REQUEST), and other
// brokers than this one, which have to be asked themselves. Nothing is sensitive.
//
// Versions: 1 sources and synonyms; 3 types and documentation; 4 flexible.

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

func (b *Broker) describeConfigs(req *kmsg.DescribeConfigsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for _, want := range req.Resources {
		res := kmsg.NewDescribeConfigsResponseResource()
		res.ResourceType, res.ResourceName = want.ResourceType, want.ResourceName
		res.Configs = []kmsg.DescribeConfigsResponseResourceConfig{}
		entries, err := b.configsOf(want.ResourceType, want.ResourceName)
		if err != nil {
			message := err.Error()
			res.ErrorCode, res.ErrorMessage = wire.Code(err), &message
		}
		for _, e := range entries {
			if len(want.ConfigNames) == 0 || slices.Contains(want.ConfigNames, e.Name) {
				res.Configs = append(res.Configs, describeConfig(e, req))
			}
		}
		resp.Resources = append(resp.Resources, res)
	}
	return resp
}

// configsOf returns every config of a topic or of this broker. A broker without
// a name stands for what all brokers were told at run time: nothing.
func (b *Broker) configsOf(kind kmsg.ConfigResourceType, name string) ([]metadata.ConfigEntry, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if err := metadata.ValidateTopicName(name); err != nil {
			return nil, err
		}
		topic, err := byName(name).find(b.image())
		if err != nil {
			return nil, err
		}
		return b.cfg.Config.DescribeTopic(topic.Configs), nil
	case kmsg.ConfigResourceTypeBroker:
		if name == "" {
			return nil, nil
		}
		if name != strconv.Itoa(int(b.cfg.ID)) {
			return nil, fmt.Errorf("%w: this is broker %d; ask broker %q itself", metadata.ErrInvalidRequest, b.cfg.ID, name)
		}
		return b.cfg.Config.DescribeBroker(), nil
	default:
		return nil, fmt.Errorf("%w: configs of resource type %d are not described", metadata.ErrInvalidRequest, kind)
	}
}

func describeConfig(e metadata.ConfigEntry, req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.ReadOnly = e.Name, &e.Value, e.ReadOnly
	c.IsDefault, c.Source = e.Source == metadata.DefaultSource, kmsg.ConfigSource(e.Source)
	c.ConfigType = kmsg.ConfigType(e.Type)
	c.ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}
	if req.IncludeSynonyms {
		for _, s := range e.Synonyms {
			c.ConfigSynonyms = append(c.ConfigSynonyms, kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
				Name: s.Name, Value: &s.Value, Source: kmsg.ConfigSource(s.Source),
			})
		}
	}
	if req.IncludeDocumentation {
		c.Documentation = &e.Doc
	}
	return c
}
