package broker

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func askVersions(version int16) *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = version, "some-client", "1.2.3"
	return req
}

// Old clients built on librdkafka take a higher minimum for "cannot compress".
func TestG1_ProduceIsAdvertisedFromZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		client := c.client(1)
		for version := range int16(6) {
			resp := ask[*kmsg.ApiVersionsResponse](t, client, askVersions(version))
			require.Zero(t, resp.ErrorCode)
			shown := map[int16][2]int16{}
			for _, k := range resp.ApiKeys {
				shown[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
			}
			require.Len(t, shown, len(served))
			require.Equal(t, [2]int16{0, 13}, shown[0])
			require.Equal(t, [2]int16{4, 18}, shown[1])
		}
		low, high, ok := acceptedVersions(0)
		require.Equal(t, []any{int16(3), int16(13), true}, []any{low, high, ok})
	})
}

// Every key names a request that is decoded here in all its versions.
func TestServedVersionsExist(t *testing.T) {
	for _, a := range served {
		req := kmsg.RequestForKey(a.key.Int16())
		require.NotNil(t, req)
		require.LessOrEqual(t, a.high, req.MaxVersion(), kmsg.NameForKey(a.key.Int16()))
	}
	_, _, ok := acceptedVersions(kmsg.AddPartitionsToTxn.Int16())
	require.False(t, ok)
}

func TestG6_ApiVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		conn, err := c.net.Host("clients").DialContext(context.Background(), "tcp", "broker-1:9092")
		require.NoError(t, err)
		defer conn.Close()
		for id := range int32(2) { // in version 0, and the connection lives
			_, err = conn.Write(appendFrame(id, askVersions(99)))
			require.NoError(t, err)
			resp := kmsg.NewPtrApiVersionsResponse()
			answered, body := readFrame(t, conn)
			require.Equal(t, id, answered)
			require.NoError(t, resp.ReadFrom(body))
			require.Equal(t, kerr.UnsupportedVersion.Code, resp.ErrorCode)
			require.NotEmpty(t, resp.ApiKeys)
		}

		client := c.client(1)
		for _, bad := range []string{"", "-x", "x-", "a b", "x\n", "€"} {
			for _, req := range []*kmsg.ApiVersionsRequest{askVersions(3), askVersions(4)} {
				req.ClientSoftwareName = bad
				require.Equal(t, kerr.InvalidRequest.Code, ask[*kmsg.ApiVersionsResponse](t, client, req).ErrorCode, "%q", bad)
				req.ClientSoftwareName, req.ClientSoftwareVersion = "ok", bad
				require.Equal(t, kerr.InvalidRequest.Code, ask[*kmsg.ApiVersionsResponse](t, client, req).ErrorCode, "%q", bad)
			}
		}
		for version, features := range map[int16]int{2: 0, 3: 0, 4: 1, 5: 1} {
			resp := ask[*kmsg.ApiVersionsResponse](t, client, askVersions(version))
			require.Len(t, resp.SupportedFeatures, features, "version %d: a feature from 0 on is left out of 3", version)
			require.Equal(t, version >= 3, len(resp.FinalizedFeatures) == 1 && resp.FinalizedFeaturesEpoch > 0)
		}
	})
}

// KIP-1242: a client that believes to talk to somebody else starts over.
func TestG6_ApiVersionsKnowsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		other := "BBBBBBBBQBCBBBBBBBBBBQ"
		for _, x := range []struct {
			cluster *string
			node    int32
			code    int16
		}{
			{nil, -1, 0},
			{&c.id, 1, 0},
			{&c.id, -1, kerr.InvalidRequest.Code},
			{nil, 1, kerr.InvalidRequest.Code},
			{&other, 1, kerr.RebootstrapRequired.Code},
			{&c.id, 2, kerr.RebootstrapRequired.Code},
		} {
			req := askVersions(5)
			req.ClusterID, req.NodeID = x.cluster, x.node
			require.Equal(t, x.code, ask[*kmsg.ApiVersionsResponse](t, c.client(1), req).ErrorCode, "%+v", x)
		}
	})
}

// Clients may speak before they ask for versions, and in any order.
func TestG7_NoHandshakeIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		for _, version := range []int16{1, 0} {
			req := kmsg.NewPtrMetadataRequest()
			req.Version = version
			require.Len(t, ask[*kmsg.MetadataResponse](t, c.client(1), req).Brokers, 1)
		}
	})
}

// A handler's defect is an answer and a line in the log, and the broker lives.
func TestPanicBecomesAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		config := c.brokers[1].cfg.Config
		synctest.Wait()               // the broker's loops have read it by now
		c.brokers[1].cfg.Config = nil // DescribeConfigs stumbles on it
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.Version, req.Resources = 4, []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "1"}}
		client := c.client(1)
		resp := ask[*kmsg.DescribeConfigsResponse](t, client, req)
		require.Equal(t, kerr.UnknownServerError.Code, resp.Resources[0].ErrorCode)
		require.EqualValues(t, 1, c.brokers[1].Panics())
		synctest.Wait()
		c.brokers[1].cfg.Config = config
		c.brokers[1].apis.panics.Store(0)
		require.Zero(t, ask[*kmsg.DescribeConfigsResponse](t, client, req).Resources[0].ErrorCode)
	})
}
