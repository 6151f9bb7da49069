package metadata

// A ConfigDef is one config that is accepted.
type ConfigDef struct {
	Name         string
	Type         ConfigType
	Scope        ConfigScope
	Default      string
	KafkaDefault string
	Dynamic      bool
	Doc          string
}

func ConfigDefs() []ConfigDef                                         { panic("not built yet") }
func ValidateTopicConfig(name, value string) error                    { panic("not built yet") }
func ValidateTopicConfigs(kv map[string]string) error                 { panic("not built yet") }
func ValidateBrokerConfig(name, value string) error                   { panic("not built yet") }
func NewBrokerConfig(kv map[string]string) (*BrokerConfig, error)     { panic("not built yet") }
func (c *BrokerConfig) Topic(overrides map[string]string) TopicConfig { panic("not built yet") }
func (c *BrokerConfig) DescribeTopic(overrides map[string]string) []ConfigEntry {
	panic("not built yet")
}
func (c *BrokerConfig) DescribeBroker() []ConfigEntry  { panic("not built yet") }
func (c *BrokerConfig) Scaled(f float64) *BrokerConfig { panic("not built yet") }
func KafkaTimings() map[string]string                  { panic("not built yet") }
func ValidateTopicName(name string) error              { panic("not built yet") }

// EffectiveMinISR: min.insync.replicas, but never more than the replication factor.
func EffectiveMinISR(minInsyncReplicas, rf int) int { return max(1, min(minInsyncReplicas, rf)) }

func (p CleanupPolicy) Compact() bool { panic("not built yet") }
func (p CleanupPolicy) Delete() bool  { panic("not built yet") }
