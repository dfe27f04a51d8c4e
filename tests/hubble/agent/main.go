// A node's Hubble server for tests, made of the packages of a Cilium agent: the same observer, ring buffer, filters and
// peer service, fed with JSON lines on standard input instead of the kernel's events.
//
// It is compiled inside the module github.com/cilium/cilium (see setup_hubble in ./dev). The first line it prints names
// its address. A line of input is a flow as `hubble observe -o json` prints it, `{"lost_events":…}`, or a change of the
// nodes that its peer service tells of: `{"node":{"op":"add","name":"a","ip":"127.0.0.2"}}`.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/encoding/protojson"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	peerpb "github.com/cilium/cilium/api/v1/peer"
	datapath "github.com/cilium/cilium/pkg/datapath/types"
	v1 "github.com/cilium/cilium/pkg/hubble/api/v1"
	"github.com/cilium/cilium/pkg/hubble/container"
	"github.com/cilium/cilium/pkg/hubble/observer"
	"github.com/cilium/cilium/pkg/hubble/observer/namespace"
	"github.com/cilium/cilium/pkg/hubble/observer/observeroption"
	"github.com/cilium/cilium/pkg/hubble/peer"
	"github.com/cilium/cilium/pkg/hubble/peer/serviceoption"
	"github.com/cilium/cilium/pkg/node/addressing"
	nodeTypes "github.com/cilium/cilium/pkg/node/types"
)

// nodes tells subscribers of the cluster's nodes, as an agent's node manager does.
type nodes struct {
	mu       sync.Mutex
	known    map[string]nodeTypes.Node
	handlers map[datapath.NodeHandler]struct{}
}

func (n *nodes) Subscribe(h datapath.NodeHandler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handlers[h] = struct{}{}
	for _, node := range n.known {
		_ = h.NodeAdd(node)
	}
}

func (n *nodes) Unsubscribe(h datapath.NodeHandler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.handlers, h)
}

type change struct {
	Op      string `json:"op"`
	Name    string `json:"name"`
	Cluster string `json:"cluster"`
	IP      string `json:"ip"`
}

func (n *nodes) apply(c change) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := nodeTypes.Node{Name: c.Name, Cluster: c.Cluster}
	if ip := net.ParseIP(c.IP); ip != nil {
		node.IPAddresses = []nodeTypes.Address{{Type: addressing.NodeInternalIP, IP: ip}}
	}
	old, known := n.known[c.Name]
	for h := range n.handlers {
		var err error
		switch {
		case c.Op == "delete":
			err = h.NodeDelete(old)
		case known:
			err = h.NodeUpdate(old, node)
		default:
			err = h.NodeAdd(node)
		}
		if err != nil {
			return err
		}
	}
	if c.Op == "delete" {
		delete(n.known, c.Name)
	} else {
		n.known[c.Name] = node
	}
	return nil
}

// feed writes what standard input brings into the ring.
func feed(in io.Reader, srv *observer.LocalObserverServer, n *nodes) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	unmarshal := protojson.UnmarshalOptions{DiscardUnknown: true}
	for lines.Scan() {
		var control struct {
			Node *change `json:"node"`
		}
		if err := json.Unmarshal(lines.Bytes(), &control); err == nil && control.Node != nil {
			if err := n.apply(*control.Node); err != nil {
				return err
			}
			continue
		}
		var resp observerpb.GetFlowsResponse
		if err := unmarshal.Unmarshal(lines.Bytes(), &resp); err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
		ev := &v1.Event{Timestamp: resp.GetTime()}
		switch {
		case resp.GetFlow() != nil:
			ev.Event, ev.Timestamp = resp.GetFlow(), resp.GetFlow().GetTime()
		case resp.GetLostEvents() != nil:
			ev.Event = resp.GetLostEvents()
		default:
			continue
		}
		srv.GetRingBuffer().Write(ev)
	}
	return lines.Err()
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve on")
	socket := flag.String("socket", "", "unix socket to serve on, too")
	capacity := flag.Int("capacity", 65535, "flows the ring holds")
	name := flag.String("node", "node-1", "name of this node")
	flag.Parse()

	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	nodeTypes.SetName(*name)
	size, err := container.NewCapacity(*capacity)
	if err != nil {
		return err
	}
	srv, err := observer.NewLocalServer(nil, namespace.NewManager(), log, observeroption.WithMaxFlows(size))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	address := listener.Addr().(*net.TCPAddr)
	n := &nodes{known: map[string]nodeTypes.Node{}, handlers: map[datapath.NodeHandler]struct{}{}}
	if err := n.apply(change{Op: "add", Name: *name, IP: address.IP.String()}); err != nil {
		return err
	}
	server := grpc.NewServer()
	checker := health.NewServer()
	checker.SetServingStatus(v1.ObserverServiceName, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, checker)
	observerpb.RegisterObserverServer(server, srv)
	peers := peer.NewService(n, serviceoption.WithoutTLSInfo(), serviceoption.WithHubblePort(address.Port))
	peerpb.RegisterPeerServer(server, peers)
	reflection.Register(server)

	ended := make(chan error, 3)
	if *socket != "" {
		local, err := net.Listen("unix", *socket)
		if err != nil {
			return err
		}
		go func() { ended <- server.Serve(local) }()
	}
	go func() { ended <- server.Serve(listener) }()
	fmt.Printf("listening %s\n", address)
	go func() {
		// The end of the input is not the end of the server.
		if err := feed(os.Stdin, srv, n); err != nil {
			ended <- err
		}
	}()
	return <-ended
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "hubble-agent:", err)
		os.Exit(1)
	}
}
