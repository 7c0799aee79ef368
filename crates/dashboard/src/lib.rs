//! The dashboard and the tenant portal: pages, rendered here and sent whole.
