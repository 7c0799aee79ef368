//! What one attempt, and the sockets kept between attempts, may cost: `domain::limits`, as egress takes them.

use postrider_domain::limits;
use postrider_egress::Budgets;

pub fn egress_budgets() -> Budgets {
    Budgets {
        dns: limits::DNS_TIMEOUT,
        connect: limits::CONNECT_TIMEOUT,
        tls: limits::TLS_TIMEOUT,
        response_read_bytes: limits::RESPONSE_READ_BYTES_MAX,
        response_kept_bytes: limits::RESPONSE_KEPT_BYTES_MAX,
        response_head_bytes: limits::RESPONSE_HEAD_BYTES_MAX,
        response_headers_max: limits::RESPONSE_HEADERS_MAX,
        socket_age: limits::SOCKET_AGE_MAX,
        idle_per_origin_max: limits::IDLE_SOCKETS_PER_ORIGIN_MAX,
        // As many as can be in flight: a kept socket is one that was in use a moment ago.
        idle_total_max: limits::IN_FLIGHT_MAX,
    }
}
