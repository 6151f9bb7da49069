package metadata

// DescribeTopic returns every config of a topic by name, with the places that
// give it a value: the topic, the broker, the default.
func (c *BrokerConfig) DescribeTopic(overrides map[string]string) []ConfigEntry {
	var entries []ConfigEntry
	for _, def := range ConfigDefs() {
		if def.Scope != TopicScope {
			continue
		}
		synonyms := c.synonyms(configIndex[BrokerScope][def.broker])
		if value, ok := overrides[def.Name]; ok {
			synonyms = append([]ConfigSynonym{{def.Name, value, TopicSource}}, synonyms...)
		}
		entries = append(entries, def.entry(synonyms))
	}
	return entries
}

// DescribeBroker returns every config of the broker by name.
func (c *BrokerConfig) DescribeBroker() []ConfigEntry {
	var entries []ConfigEntry
	for _, def := range ConfigDefs() {
		if def.Scope == BrokerScope {
			entries = append(entries, def.entry(c.synonyms(&def)))
		}
	}
	return entries
}

// synonyms lists the places that give a broker's config a value, strongest first.
func (c *BrokerConfig) synonyms(def *ConfigDef) []ConfigSynonym {
	if c.given[def.Name] {
		return []ConfigSynonym{{def.Name, c.values[def.Name], BrokerSource}, {def.Name, def.Default, DefaultSource}}
	}
	return []ConfigSynonym{{def.Name, c.values[def.Name], DefaultSource}}
}

func (d *ConfigDef) entry(synonyms []ConfigSynonym) ConfigEntry {
	return ConfigEntry{
		Name: d.Name, Type: d.Type, ReadOnly: !d.Dynamic, Doc: d.Doc,
		Value: synonyms[0].Value, Source: synonyms[0].Source, Synonyms: synonyms,
	}
}
