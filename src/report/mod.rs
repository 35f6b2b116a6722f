//! What happened (values) as log, annotations, summary and outputs. Nothing here decides.
