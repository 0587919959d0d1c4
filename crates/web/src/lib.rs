//! Pages, REST API with OpenAPI, live updates
