package broker

// ApiVersions (key 18), versions 0 to 5: which requests this broker answers. It is
// the only one answered before the broker has caught up with the cluster, and the
// only one that may come in an unknown version: package wire answers that one in
// version 0 (KIP-511).
//
// Features: only what is implemented is named. Left out: everything of
// transactions and groups, so that clients keep to the older protocols.
//
// Versions: 3 flexible, with the client's name and features; 4 features whose
// lowest version is 0, which 3 leaves out; 5 the cluster and node that the client
// believes it talks to (KIP-1242).

import (
	"regexp"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// softwareName is what a client's name and version must look like (KIP-511).
var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

func (b *Broker) apiVersions(req *kmsg.ApiVersionsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	resp.ErrorCode = b.checkClient(req)
	for _, a := range served {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey = a.key.Int16()
		k.MinVersion, k.MaxVersion = a.advertised()
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	if resp.ErrorCode == 0 && req.Version >= 3 {
		b.addFeatures(resp)
	}
	return resp
}

// checkClient is what is wrong with how the client introduces itself; 0 if nothing.
func (b *Broker) checkClient(req *kmsg.ApiVersionsRequest) int16 {
	if req.Version >= 3 && !(softwareName.MatchString(req.ClientSoftwareName) && softwareName.MatchString(req.ClientSoftwareVersion)) {
		return kerr.InvalidRequest.Code
	}
	if req.Version < 5 {
		return 0
	}
	switch {
	case (req.ClusterID == nil) != (req.NodeID == -1):
		return kerr.InvalidRequest.Code
	case req.ClusterID != nil && (*req.ClusterID != b.cfg.ClusterID || req.NodeID != b.cfg.ID):
		return kerr.RebootstrapRequired.Code
	}
	return 0
}

// elrFeature says that eligible leader replicas are kept (KIP-966).
const elrFeature = "eligible.leader.replicas.version"

func (b *Broker) addFeatures(resp *kmsg.ApiVersionsResponse) {
	if resp.Version >= 4 {
		f := kmsg.NewApiVersionsResponseSupportedFeature()
		f.Name, f.MinVersion, f.MaxVersion = elrFeature, 0, 1
		resp.SupportedFeatures = append(resp.SupportedFeatures, f)
	}
	f := kmsg.NewApiVersionsResponseFinalizedFeature()
	f.Name, f.MinVersionLevel, f.MaxVersionLevel = elrFeature, 1, 1
	resp.FinalizedFeatures = append(resp.FinalizedFeatures, f)
	resp.FinalizedFeaturesEpoch = b.image().Offset()
}
