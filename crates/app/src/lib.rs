//! Use cases, sagas, reconcilers, permissions
