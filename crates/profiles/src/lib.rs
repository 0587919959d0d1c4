//! Vendor data (CPE families, OLT dialects) loaded and checked
