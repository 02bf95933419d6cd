package broker

import (
	"github.com/prometheus/client_golang/prometheus"

	"claudemesh/wire"
)

// A serviceGauge counts the services of all meshes by status, when it is asked.
type serviceGauge struct {
	srv  *Server
	desc *prometheus.Desc
}

func newServiceGauge(srv *Server) serviceGauge {
	return serviceGauge{srv, prometheus.NewDesc("broker_services", "Deployed services, by status.", []string{"status"}, nil)}
}

// Describe implements prometheus.Collector.
func (g serviceGauge) Describe(out chan<- *prometheus.Desc) { out <- g.desc }

// Collect implements prometheus.Collector.
func (g serviceGauge) Collect(out chan<- prometheus.Metric) {
	count := make(map[wire.ServiceStatus]int)
	for _, m := range g.srv.all() {
		m.mu.Lock()
		for _, svc := range m.services {
			count[svc.status()]++
		}
		m.mu.Unlock()
	}
	for _, status := range []wire.ServiceStatus{wire.ServiceBuilding, wire.ServiceInstalling, wire.ServiceRunning, wire.ServiceRestarting, wire.ServiceCrashed,
		wire.ServiceFailed, wire.ServiceStopped} {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(count[status]), string(status))
	}
}
