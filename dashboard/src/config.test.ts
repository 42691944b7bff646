import { expect, it } from "vitest";
import { issuerOf, loginProviderOf, parseConfig } from "./config";

// As the stack's output DashboardConfig is, folded lines included.
const deployed = `{"region":"eu-west-1","userPoolId":"eu-west-1_a","userPoolClientId":"c",
  "identityPoolId":"eu-west-1:i","signInUrl":"https://inventory-x.auth.eu-west-1.amazoncognito.com/",
  "bucket":"inventory-upload-x","table":"InventoryTable","jobsTable":"ImportJobs"}`;

it("takes what the stack puts out", () => {
  const config = parseConfig(deployed);
  expect(config).toMatchObject({ bucket: "inventory-upload-x", endpoints: {} });
  expect(config.signInUrl).toBe("https://inventory-x.auth.eu-west-1.amazoncognito.com");
  expect(issuerOf(config)).toBe("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a");
  expect(loginProviderOf(config)).toBe("cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a");
});

it("takes what the local stack serves", () => {
  const config = parseConfig(
    JSON.stringify({
      ...JSON.parse(deployed),
      issuer: "http://127.0.0.1:1/pool",
      endpoints: { s3: "http://127.0.0.1:2", dynamodb: "http://127.0.0.1:3/", cognitoIdentity: "http://127.0.0.1:1" },
      inboxUrl: "/inbox.json",
    }),
  );
  expect(loginProviderOf(config)).toBe("127.0.0.1:1/pool");
  expect(config.endpoints.dynamodb).toBe("http://127.0.0.1:3");
});

it.each([
  ["<!doctype html>", "config.json is missing, or no JSON"],
  ["[]", "config.json is no JSON object"],
  ["{}", 'config.json has no "region"'],
  [deployed.replace("https://inventory", "inventory"), '"signInUrl" in config.json is no URL'],
  [deployed.replace('"bucket"', '"endpoints":{"s3":1},"bucket"'), 'config.json has no "endpoints.s3"'],
])("says what is wrong with %j", (text, problem) => {
  expect(() => parseConfig(text)).toThrow(problem);
});
