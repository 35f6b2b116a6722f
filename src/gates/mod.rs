//! Sources of evidence about a release. Each turns what a provider says into values; none decides.
