//! What is measured: forwarders, each started, counted and ended by us.
