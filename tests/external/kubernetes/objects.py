"""Objects that stand in the way of pods."""


def quota(pods):
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"}, "spec": {"hard": {"pods": str(pods)}}}


def policy(namespace, group, resource, images):
    """Refuses objects of a resource in a namespace whose containers have an image whose name has the word `denied`."""
    api, name = "admissionregistration.k8s.io/v1", namespace
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
    expression = f"!{images}.exists(one, one.image.contains('/denied'))"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    yield {"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
        "failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, "message": "images of this name are not signed"}]}}
    yield {"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": {
        "policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}}}
