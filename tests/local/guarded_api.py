"""The API of a service's template: its default authorizer is the gate."""

GUARDED_API = """\
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Gate
        Authorizers:
          Gate:
            FunctionArn: !Ref GateArn
            AuthorizerPayloadFormatVersion: "2.0"
            EnableSimpleResponses: true
            EnableFunctionDefaultPermissions: true
            Identity: {Headers: [Authorization], Context: [routeKey], ReauthorizeEvery: 0}
"""
