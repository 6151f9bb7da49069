package broker

// DescribeCluster (key 60), versions 0 to 2: the brokers, with the addresses of
// the listener that the request came on, and the cluster's id.
//
// Left out: the coordinator nodes (endpoint type 2): as in Kafka only they
// themselves would answer, and brokers say MISMATCHED_ENDPOINT_TYPE.
//
// Versions: 1 endpoint type; 2 fenced brokers on request.

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/wire"
)

// The kinds of endpoints that DescribeCluster can be asked for.
const (
	brokerEndpoints     int8 = 1
	controllerEndpoints int8 = 2
)

func (b *Broker) describeCluster(r *wire.Request, req *kmsg.DescribeClusterRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	im := b.image()
	resp.ClusterID, resp.EndpointType = b.cfg.ClusterID, req.EndpointType
	resp.Brokers = []kmsg.DescribeClusterResponseBroker{}
	switch req.EndpointType {
	case brokerEndpoints:
	case controllerEndpoints:
		resp.ErrorCode, resp.ErrorMessage = kerr.MismatchedEndpointType.Code, kmsg.StringPtr("this is a broker")
		return resp
	default:
		message := fmt.Sprintf("endpoint type %d is not known", req.EndpointType)
		resp.ErrorCode, resp.ErrorMessage = kerr.UnsupportedEndpointType.Code, &message
		return resp
	}
	for _, broker := range im.Brokers() {
		e, ok := broker.Endpoint(r.Conn.Listener())
		if !ok || broker.Fenced && !req.IncludeFencedBrokers {
			continue
		}
		resp.Brokers = append(resp.Brokers, kmsg.DescribeClusterResponseBroker{
			NodeID: broker.ID, Host: e.Host, Port: e.Port, Rack: rackOf(broker), IsFenced: broker.Fenced,
		})
	}
	resp.ControllerID = b.controllerID(im)
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	return resp
}
